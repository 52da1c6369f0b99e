"""One pinned decoder for each transfer syntax, and the RLE encoder."""
