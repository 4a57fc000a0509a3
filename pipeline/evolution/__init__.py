"""A person in the loop: sessions in run folders, and the page that shows them."""
