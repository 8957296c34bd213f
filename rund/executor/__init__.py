"""The shell that starts, watches, stops and adopts attempts."""
