"""What the scripts of the workflow share; each of its folders says in its docstring what it is for."""
