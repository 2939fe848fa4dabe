"""What a notebook shows: figures, tables, progress, quizzes, guesses, checks. It knows no task and no recipe."""
