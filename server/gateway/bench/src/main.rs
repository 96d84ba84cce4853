//! `bench`: the upstream and the proxy as programs of their own.
fn main() {}
