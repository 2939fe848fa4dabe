"""The instruments, studies and checks of each lecture and lab: `from helpers.lessons import fine_tuning`."""
