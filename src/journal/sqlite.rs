//! The journal in memory, for tests.
