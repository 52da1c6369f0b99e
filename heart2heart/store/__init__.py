"""Frame stores: geometry, sector, frame quality, frame sampling, shards, and the store that later packages read."""
