"""Source models: the course's own, torchvision's, timm's, a checkpoint; by name, with their preprocessing."""
