"""Images: the embedded worlds, published sets, your own folders; as tasks with fixed splits."""
