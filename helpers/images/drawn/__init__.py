"""The embedded worlds: images drawn from code, with everything about them known."""
