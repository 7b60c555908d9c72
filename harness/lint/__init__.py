"""Detection rules held against what S3's logs really say: the names they rely on, and whether anything writes them."""
