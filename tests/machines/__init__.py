"""The tests on real machines under qemu."""
