"""Emission: Python source through LibCST and a real formatter, weights as streamed safetensors."""
