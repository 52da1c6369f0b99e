"""Public data sets into the same FrameStore as a hospital's own clips; start at `add_dataset.add_dataset`."""
