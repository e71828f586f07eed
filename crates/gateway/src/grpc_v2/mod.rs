//! The gRPC v2 front end: `apache.rocketmq.v2.MessagingService`.
