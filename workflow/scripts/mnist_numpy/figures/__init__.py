"""The figures, and the images and some texts of the page."""
