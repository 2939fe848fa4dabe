"""Files: those that come with the course (weights, studies, quizzes), and how others are fetched and kept."""
