"""Keys, certificates and signed documents of the emulated cloud. Imports no other package of the emulator."""
