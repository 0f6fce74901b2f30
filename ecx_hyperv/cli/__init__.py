"""The commands: parse, call one function, turn the result into an exit code and output."""
