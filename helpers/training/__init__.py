"""Training: recipes, fits, studies of many fits, and what they cost."""
