"""Every on-disk contract: columns, closed vocabularies, versions and readers of older ones."""
