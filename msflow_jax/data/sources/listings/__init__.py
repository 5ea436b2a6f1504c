"""The user's own images as folders or a CSV list them."""
