"""How the pages of the web edition are prepared (staging.py and what it uses), and what they add to Sphinx (hooks.py)."""
