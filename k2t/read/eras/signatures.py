"""The first parameters of Keras's layers in their order, which calls in code may give by position.

Source: the constructors of Keras 1.2.2, tf-keras 2.21 and Keras 3.15; parameters of every layer are left out.
"""

from __future__ import annotations

from k2t.read.eras.era import Era

KERAS_3 = """
Activation activation
ActivityRegularization l1 l2
AdaptiveAveragePooling1D output_size data_format
AdaptiveAveragePooling2D output_size data_format
AdaptiveAveragePooling3D output_size data_format
AdaptiveMaxPooling1D output_size data_format
AdaptiveMaxPooling2D output_size data_format
AdaptiveMaxPooling3D output_size data_format
AdditiveAttention use_scale dropout
AlphaDropout rate noise_shape seed
Attention use_scale score_mode dropout seed
AugMix value_range num_chains chain_depth factor alpha all_ops interpolation seed data_format
AutoContrast value_range
AveragePooling1D pool_size strides padding data_format
AveragePooling2D pool_size strides padding data_format
AveragePooling3D pool_size strides padding data_format
BatchNormalization axis momentum epsilon center scale beta_initializer gamma_initializer moving_mean_initializer
Bidirectional layer merge_mode weights backward_layer
CategoryEncoding num_tokens output_mode sparse
CenterCrop height width data_format
Concatenate axis
ContrastLimitedAdaptiveHistogramEqualization value_range clip_limit tile_grid_size data_format
Conv1D filters kernel_size strides padding data_format dilation_rate groups activation use_bias
Conv1DTranspose filters kernel_size strides padding output_padding data_format dilation_rate activation use_bias
Conv2D filters kernel_size strides padding data_format dilation_rate groups activation use_bias
Conv2DTranspose filters kernel_size strides padding output_padding data_format dilation_rate activation use_bias
Conv3D filters kernel_size strides padding data_format dilation_rate groups activation use_bias
Conv3DTranspose filters kernel_size strides padding data_format output_padding dilation_rate activation use_bias
ConvLSTM1D filters kernel_size strides padding data_format dilation_rate activation recurrent_activation use_bias
ConvLSTM2D filters kernel_size strides padding data_format dilation_rate activation recurrent_activation use_bias
ConvLSTM3D filters kernel_size strides padding data_format dilation_rate activation recurrent_activation use_bias
Cropping1D cropping
Cropping2D cropping data_format
Cropping3D cropping data_format
CutMix factor seed data_format
Dense units activation use_bias kernel_initializer bias_initializer kernel_regularizer bias_regularizer
DepthwiseConv1D kernel_size strides padding depth_multiplier data_format dilation_rate activation use_bias
DepthwiseConv2D kernel_size strides padding depth_multiplier data_format dilation_rate activation use_bias
Discretization bin_boundaries num_bins epsilon output_mode sparse
Dot axes normalize
Dropout rate noise_shape seed
ELU alpha
EinsumDense equation output_shape activation bias_axes kernel_initializer bias_initializer kernel_regularizer
Embedding input_dim output_dim embeddings_initializer embeddings_regularizer embeddings_constraint mask_zero weights
Equalization value_range bins data_format
Flatten data_format
GRU units activation recurrent_activation use_bias kernel_initializer recurrent_initializer bias_initializer
GRUCell units activation recurrent_activation use_bias kernel_initializer recurrent_initializer bias_initializer
GaussianDropout rate seed
GaussianNoise stddev seed
GlobalAveragePooling1D data_format keepdims
GlobalAveragePooling2D data_format keepdims
GlobalAveragePooling3D data_format keepdims
GlobalMaxPooling1D data_format keepdims
GlobalMaxPooling2D data_format keepdims
GlobalMaxPooling3D data_format keepdims
GroupNormalization groups axis epsilon center scale beta_initializer gamma_initializer beta_regularizer
GroupQueryAttention head_dim num_query_heads num_key_value_heads dropout use_bias sliding_window flash_attention
HashedCrossing num_bins output_mode sparse
Hashing num_bins mask_value salt output_mode sparse
IntegerLookup max_tokens num_oov_indices mask_token oov_token vocabulary vocabulary_dtype idf_weights invert
LSTM units activation recurrent_activation use_bias kernel_initializer recurrent_initializer bias_initializer
LSTMCell units activation recurrent_activation use_bias kernel_initializer recurrent_initializer bias_initializer
Lambda function output_shape mask arguments
LayerNormalization axis epsilon center scale beta_initializer gamma_initializer beta_regularizer gamma_regularizer
LeakyReLU negative_slope
Masking mask_value
MaxPooling1D pool_size strides padding data_format
MaxPooling2D pool_size strides padding data_format
MaxPooling3D pool_size strides padding data_format
MelSpectrogram fft_length sequence_stride sequence_length window sampling_rate num_mel_bins min_freq max_freq
MixUp alpha data_format seed
MultiHeadAttention num_heads key_dim value_dim dropout use_bias output_shape attention_axes sliding_window
Normalization axis mean variance invert
PReLU alpha_initializer alpha_regularizer alpha_constraint shared_axes
Permute dims
Pipeline layers
RMSNormalization axis epsilon
RNN cell return_sequences return_state go_backwards stateful unroll zero_output_for_mask
RandAugment value_range num_ops factor interpolation seed data_format
RandomBrightness factor value_range seed
RandomColorDegeneration factor value_range data_format seed
RandomColorJitter value_range brightness_factor contrast_factor saturation_factor hue_factor seed data_format
RandomContrast factor value_range seed
RandomCrop height width seed data_format
RandomElasticTransform factor scale interpolation fill_mode fill_value value_range seed data_format
RandomErasing factor scale fill_value value_range seed data_format
RandomFlip mode seed data_format
RandomGaussianBlur factor kernel_size sigma value_range data_format seed
RandomGrayscale factor data_format seed
RandomHue factor value_range data_format seed
RandomInvert factor value_range seed data_format
RandomPerspective factor scale interpolation fill_value seed data_format
RandomPosterization factor value_range data_format seed
RandomRotation factor fill_mode interpolation seed fill_value data_format
RandomSaturation factor value_range data_format seed
RandomSharpness factor value_range data_format seed
RandomShear x_factor y_factor interpolation fill_mode fill_value data_format seed
RandomTranslation height_factor width_factor fill_mode interpolation seed fill_value data_format
RandomZoom height_factor width_factor fill_mode interpolation seed fill_value data_format
ReLU max_value negative_slope threshold
RepeatVector n
Rescaling scale offset
Reshape target_shape
Resizing height width interpolation crop_to_aspect_ratio pad_to_aspect_ratio fill_mode fill_value antialias
ReversibleEmbedding input_dim output_dim tie_weights embeddings_initializer embeddings_regularizer
STFTSpectrogram mode frame_length frame_step fft_length window periodic scaling padding expand_dims
SeparableConv1D filters kernel_size strides padding data_format dilation_rate depth_multiplier activation use_bias
SeparableConv2D filters kernel_size strides padding data_format dilation_rate depth_multiplier activation use_bias
SimpleRNN units activation use_bias kernel_initializer recurrent_initializer bias_initializer kernel_regularizer
SimpleRNNCell units activation use_bias kernel_initializer recurrent_initializer bias_initializer kernel_regularizer
Softmax axis
Solarization addition_factor threshold_factor value_range seed
SpatialDropout1D rate seed
SpatialDropout2D rate data_format seed
SpatialDropout3D rate data_format seed
SpectralNormalization layer power_iterations
StackedRNNCells cells
StringLookup max_tokens num_oov_indices mask_token oov_token vocabulary idf_weights invert output_mode
TextVectorization max_tokens standardize split ngrams output_mode output_sequence_length pad_to_max_tokens vocabulary
TimeDistributed layer
UnitNormalization axis
UpSampling1D size
UpSampling2D size data_format interpolation
UpSampling3D size data_format
ZeroPadding1D padding data_format
ZeroPadding2D padding data_format
ZeroPadding3D padding data_format
"""
# Where they differ from those of Keras 3.
KERAS_2 = """
Conv3DTranspose filters kernel_size strides padding output_padding data_format dilation_rate activation use_bias
CuDNNGRU units kernel_initializer recurrent_initializer bias_initializer kernel_regularizer recurrent_regularizer
CuDNNLSTM units kernel_initializer recurrent_initializer bias_initializer unit_forget_bias kernel_regularizer
EinsumDense equation output_shape activation bias_axes kernel_initializer bias_initializer kernel_regularizer
Embedding input_dim output_dim embeddings_initializer embeddings_regularizer activity_regularizer
LeakyReLU alpha
LocallyConnected1D filters kernel_size strides padding data_format activation use_bias kernel_initializer
LocallyConnected2D filters kernel_size strides padding data_format activation use_bias kernel_initializer
MultiHeadAttention num_heads key_dim value_dim dropout use_bias output_shape attention_axes kernel_initializer
RNN cell return_sequences return_state go_backwards stateful unroll time_major
RandomContrast factor seed
RandomHeight factor interpolation seed
RandomWidth factor interpolation seed
Softmax axis robust_masking
StringLookup max_tokens num_oov_indices mask_token oov_token vocabulary idf_weights encoding invert output_mode
ThresholdedReLU theta
"""
KERAS_1 = """
Activation activation
ActivityRegularization l1 l2
AtrousConv1D nb_filter filter_length init activation weights border_mode subsample_length atrous_rate W_regularizer
AtrousConv2D nb_filter nb_row nb_col init activation weights border_mode subsample atrous_rate
AtrousConvolution1D nb_filter filter_length init activation weights border_mode subsample_length atrous_rate
AtrousConvolution2D nb_filter nb_row nb_col init activation weights border_mode subsample atrous_rate
AveragePooling1D pool_length stride border_mode
AveragePooling2D pool_size strides border_mode dim_ordering
AveragePooling3D pool_size strides border_mode dim_ordering
BatchNormalization epsilon mode axis momentum weights beta_init gamma_init gamma_regularizer beta_regularizer
Bidirectional layer merge_mode weights
Conv1D nb_filter filter_length init activation weights border_mode subsample_length W_regularizer b_regularizer
Conv2D nb_filter nb_row nb_col init activation weights border_mode subsample dim_ordering
Conv3D nb_filter kernel_dim1 kernel_dim2 kernel_dim3 init activation weights border_mode subsample
ConvLSTM2D nb_filter nb_row nb_col init inner_init forget_bias_init activation inner_activation dim_ordering
Convolution1D nb_filter filter_length init activation weights border_mode subsample_length W_regularizer b_regularizer
Convolution2D nb_filter nb_row nb_col init activation weights border_mode subsample dim_ordering
Convolution3D nb_filter kernel_dim1 kernel_dim2 kernel_dim3 init activation weights border_mode subsample
Cropping1D cropping
Cropping2D cropping dim_ordering
Cropping3D cropping dim_ordering
Deconv2D nb_filter nb_row nb_col output_shape init activation weights border_mode subsample
Deconvolution2D nb_filter nb_row nb_col output_shape init activation weights border_mode subsample
Dense output_dim init activation weights W_regularizer b_regularizer activity_regularizer W_constraint b_constraint
Dropout p noise_shape seed
ELU alpha
Embedding input_dim output_dim init input_length W_regularizer activity_regularizer W_constraint mask_zero weights
GRU output_dim init inner_init activation inner_activation W_regularizer U_regularizer b_regularizer dropout_W
GaussianDropout p
GaussianNoise sigma
GlobalAveragePooling2D dim_ordering
GlobalAveragePooling3D dim_ordering
GlobalMaxPooling2D dim_ordering
GlobalMaxPooling3D dim_ordering
Highway init activation weights W_regularizer b_regularizer activity_regularizer W_constraint b_constraint bias
LSTM output_dim init inner_init forget_bias_init activation inner_activation W_regularizer U_regularizer b_regularizer
Lambda function output_shape arguments
LeakyReLU alpha
LocallyConnected1D nb_filter filter_length init activation weights border_mode subsample_length W_regularizer
LocallyConnected2D nb_filter nb_row nb_col init activation weights border_mode subsample dim_ordering
Masking mask_value
MaxPooling1D pool_length stride border_mode
MaxPooling2D pool_size strides border_mode dim_ordering
MaxPooling3D pool_size strides border_mode dim_ordering
MaxoutDense output_dim nb_feature init weights W_regularizer b_regularizer activity_regularizer W_constraint
PReLU init weights shared_axes
ParametricSoftplus alpha_init beta_init weights shared_axes
Permute dims
RepeatVector n
Reshape target_shape
SReLU t_left_init a_left_init t_right_init a_right_init shared_axes
SeparableConv2D nb_filter nb_row nb_col init activation weights border_mode subsample depth_multiplier
SeparableConvolution2D nb_filter nb_row nb_col init activation weights border_mode subsample depth_multiplier
SimpleRNN output_dim init inner_init activation W_regularizer U_regularizer b_regularizer dropout_W dropout_U
SpatialDropout1D p
SpatialDropout2D p dim_ordering
SpatialDropout3D p dim_ordering
ThresholdedReLU theta
TimeDistributed layer
TimeDistributedDense output_dim init activation weights W_regularizer b_regularizer activity_regularizer W_constraint
UpSampling1D length
UpSampling2D size dim_ordering
UpSampling3D size dim_ordering
ZeroPadding1D padding
ZeroPadding2D padding dim_ordering
ZeroPadding3D padding dim_ordering
"""


def table(text: str) -> dict[str, tuple[str, ...]]:
    """Class -> its parameters."""
    return {line.split()[0]: tuple(line.split()[1:]) for line in text.strip().splitlines()}


TABLES = {1: table(KERAS_1), 2: table(KERAS_3) | table(KERAS_2), 3: table(KERAS_3)}


def positional(class_name: str, era: Era) -> tuple[str, ...]:
    """The parameters of a layer in their order, in the spelling of that release; () where it is not known."""
    return TABLES[1 if era.keras_1 else 2 if era.before_keras_3 else 3].get(class_name, ())
