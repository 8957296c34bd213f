"""The socket, one loop for each client."""
