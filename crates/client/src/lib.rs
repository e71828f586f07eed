//! Small client for Remoting and gRPC, used by the CLI, the load generator and tests.
