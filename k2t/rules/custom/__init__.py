"""Custom layers from their Python source: parsed, never run, and followed symbolically."""
