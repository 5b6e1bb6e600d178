"""What each release exports: layers without base classes and second names, and the functions of keras.ops."""

from __future__ import annotations

# Classes that others derive from, and that no model holds.
BASES = frozenset({"AbstractRNNCell", "ConvRecurrent2D", "Layer", "PreprocessingLayer", "Recurrent", "Wrapper"})

RELEASES = {
    "Keras 1.2": """
Activation ActivityRegularization AtrousConvolution1D AtrousConvolution2D AveragePooling1D AveragePooling2D
AveragePooling3D BatchNormalization Bidirectional ConvLSTM2D Convolution1D Convolution2D Convolution3D Cropping1D
Cropping2D Cropping3D Deconvolution2D Dense Dropout ELU Embedding Flatten GRU GaussianDropout GaussianNoise
GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D
GlobalMaxPooling3D Highway InputLayer LSTM Lambda LeakyReLU LocallyConnected1D LocallyConnected2D Masking MaxPooling1D
MaxPooling2D MaxPooling3D MaxoutDense Merge PReLU ParametricSoftplus Permute RepeatVector Reshape SReLU
SeparableConvolution2D SimpleRNN SpatialDropout1D SpatialDropout2D SpatialDropout3D ThresholdedReLU TimeDistributed
TimeDistributedDense UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
""",
    "Keras 2.2": """
Activation ActivityRegularization Add AlphaDropout Average AveragePooling1D AveragePooling2D AveragePooling3D
BatchNormalization Bidirectional Concatenate Conv1D Conv2D Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM2D
ConvLSTM2DCell ConvRNN2D Cropping1D Cropping2D Cropping3D CuDNNGRU CuDNNLSTM Dense DepthwiseConv2D Dot Dropout ELU
Embedding Flatten GRU GRUCell GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D
GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D Highway InputLayer LSTM LSTMCell
Lambda LeakyReLU LocallyConnected1D LocallyConnected2D Masking MaxPooling1D MaxPooling2D MaxPooling3D Maximum
MaxoutDense Minimum Multiply PReLU Permute RNN ReLU RepeatVector Reshape SeparableConv1D SeparableConv2D SimpleRNN
SimpleRNNCell Softmax SpatialDropout1D SpatialDropout2D SpatialDropout3D StackedRNNCells Subtract ThresholdedReLU
TimeDistributed UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
""",
    "Keras 2.15": """
Activation ActivityRegularization Add AdditiveAttention AlphaDropout Attention Average AveragePooling1D
AveragePooling2D AveragePooling3D BatchNormalization Bidirectional CategoryEncoding CenterCrop Concatenate Conv1D
Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Cropping1D Cropping2D
Cropping3D Dense DenseFeatures DepthwiseConv1D DepthwiseConv2D Discretization Dot Dropout ELU EinsumDense Embedding
Flatten GRU GRUCell GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D
GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D GroupNormalization HashedCrossing Hashing Identity InputLayer
IntegerLookup LSTM LSTMCell Lambda LayerNormalization LeakyReLU LocallyConnected1D LocallyConnected2D Masking
MaxPooling1D MaxPooling2D MaxPooling3D Maximum Minimum MultiHeadAttention Multiply Normalization PReLU Permute RNN
RandomBrightness RandomContrast RandomCrop RandomFlip RandomFourierFeatures RandomHeight RandomRotation
RandomTranslation RandomWidth RandomZoom ReLU RepeatVector Rescaling Reshape Resizing SeparableConv1D SeparableConv2D
SimpleRNN SimpleRNNCell Softmax SpatialDropout1D SpatialDropout2D SpatialDropout3D SpectralNormalization
StackedRNNCells StringLookup Subtract SyncBatchNormalization TextVectorization ThresholdedReLU TimeDistributed
UnitNormalization UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
""",
    "Keras 3.15": """
Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D
AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add AdditiveAttention AlphaDropout Attention AugMix
AutoContrast Average AveragePooling1D AveragePooling2D AveragePooling3D BatchNormalization Bidirectional
CategoryEncoding CenterCrop Concatenate ContrastLimitedAdaptiveHistogramEqualization Conv1D Conv1DTranspose Conv2D
Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Cropping1D Cropping2D Cropping3D CutMix Dense
DepthwiseConv1D DepthwiseConv2D Discretization Dot Dropout ELU EinsumDense Embedding Equalization Flatten FlaxLayer
GRU GRUCell GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D
GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D GroupNormalization GroupQueryAttention HashedCrossing
Hashing Identity InputLayer IntegerLookup JaxLayer LSTM LSTMCell Lambda LayerNormalization LeakyReLU Masking
MaxNumBoundingBoxes MaxPooling1D MaxPooling2D MaxPooling3D Maximum MelSpectrogram Minimum MixUp MultiHeadAttention
Multiply Normalization PReLU Permute Pipeline RMSNormalization RNN RandAugment RandomBrightness
RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop RandomElasticTransform RandomErasing RandomFlip
RandomGaussianBlur RandomGrayscale RandomHue RandomInvert RandomPerspective RandomPosterization RandomRotation
RandomSaturation RandomSharpness RandomShear RandomTranslation RandomZoom ReLU RepeatVector Rescaling Reshape Resizing
ReversibleEmbedding STFTSpectrogram SeparableConv1D SeparableConv2D SimpleRNN SimpleRNNCell Softmax Solarization
SpatialDropout1D SpatialDropout2D SpatialDropout3D SpectralNormalization StackedRNNCells StringLookup Subtract
TFSMLayer TextVectorization TimeDistributed TorchModuleWrapper UnitNormalization UpSampling1D UpSampling2D
UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
""",
}

# Those of keras.ops in Keras 3.15, and of keras.ops.image.
FUNCTIONS = """
abs absolute adaptive_average_pool adaptive_max_pool add all allclose amax amin angle any append arange arccos arccosh
arcsin arcsinh arctan arctan2 arctanh argmax argmin argpartition argsort array array_split associative_scan average
average_pool bartlett batch_normalization binary_crossentropy bincount bitwise_and bitwise_invert bitwise_left_shift
bitwise_not bitwise_or bitwise_right_shift bitwise_xor blackman broadcast_to cast categorical_crossentropy cbrt cdist
ceil celu cholesky cholesky_inverse clip concatenate cond conj conjugate conv conv_transpose convert_to_numpy
convert_to_tensor copy corrcoef correlate cos cosh count_nonzero cross ctc_decode ctc_loss cumprod cumsum
custom_gradient deg2rad depth_to_space depthwise_conv det diag diagflat diagonal diff digitize divide divide_no_nan
dot dot_product_attention dsplit dstack dtype eig eigh einsum elu empty empty_like equal erf erfc erfinv exp exp2
expand_dims expm1 extract_sequences eye fabs fft fft2 flip fliplr flipud floor floor_divide fmax fmin fmod fold
fori_loop full full_like gcd gelu geomspace get_item glu greater greater_equal hamming hanning hard_shrink
hard_sigmoid hard_silu hard_swish hard_tanh heaviside histogram hsplit hstack hypot i0 identity ifft2 imag in_top_k
inner inv irfft is_tensor isclose isfinite isin isinf isnan isneginf isposinf isreal istft jvp kaiser kron
layer_normalization lcm ldexp leaky_relu left_shift less less_equal linspace log log10 log1p log2 log_sigmoid
log_softmax logaddexp logaddexp2 logdet logical_and logical_not logical_or logical_xor logspace logsumexp lstsq
lu_factor map matmul matrix_rank max max_pool maximum mean median meshgrid min minimum mod moments moveaxis multi_hot
multiply nan_to_num nanargmax nanargmin nancumprod nancumsum nanmax nanmean nanmedian nanmin nanpercentile nanprod
nanquantile nanstd nansum nanvar ndim negative nextafter nonzero norm normalize not_equal one_hot ones ones_like outer
pad percentile pinv polar power prod psnr ptp qr quantile rad2deg ravel real rearrange reciprocal relu relu6 repeat
reshape rfft right_shift rms_normalization roll rot90 round rsqrt saturate_cast scan scatter scatter_update
searchsorted segment_max segment_min segment_prod segment_sum select selu separable_conv shape sigmoid sign signbit
silu sin sinc sinh size slice slice_update slogdet soft_shrink softmax softplus softsign solve solve_triangular sort
space_to_depth sparse_categorical_crossentropy sparse_plus sparse_sigmoid sparsemax split sqrt square squareplus
squeeze stack std stft stop_gradient subtract sum svd swapaxes swish switch take take_along_axis tan tanh tanh_shrink
tensordot threshold tile top_k trace transpose trapezoid tri tril triu true_divide trunc unfold unique unravel_index
unstack vander var vdot vectorize vectorized_map view view_as_complex view_as_real vsplit vstack where while_loop
zeros zeros_like image.affine_transform image.crop_images image.elastic_transform image.extract_patches
image.extract_patches_3d image.gaussian_blur image.hsv_to_rgb image.map_coordinates image.pad_images
image.perspective_transform image.resize image.rgb_to_grayscale image.rgb_to_hsv image.scale_and_translate
image.sobel_edges image.ssim
"""

EXPORTED = {release: names.split() for release, names in RELEASES.items()}
OPERATIONS = FUNCTIONS.split()
