"""The claims themselves, a file for each subject; a function below `claim` here is a row of the page."""
