"""Codecs: one pinned decoder a transfer syntax, and the RLE encoder."""
