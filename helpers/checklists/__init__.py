"""What each lab asks for, as checks of behaviour: a module a lab, named like its notebook."""
