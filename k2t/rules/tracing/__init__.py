"""Follows Python code symbolically: the functions of Lambda layers and the `call` of custom layers."""
