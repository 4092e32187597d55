"""The figures, the images of the page, and some of its words."""
