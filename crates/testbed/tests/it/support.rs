use std::time::Duration;

use async_nats::{ConnectOptions, ServerAddr, jetstream};

/// Far longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Connects.
pub(crate) async fn connect(options: ConnectOptions, urls: &[String]) -> async_nats::Client {
    let servers: Vec<ServerAddr> = urls.iter().map(|url| url.parse().expect("an address")).collect();
    tokio::time::timeout(PATIENCE, options.connect(servers)).await.expect("in time").expect("a connection")
}

/// Makes a stream `s` on the subject `s`.
pub(crate) async fn stream(client: &async_nats::Client, replicas: usize) -> jetstream::Context {
    let context = jetstream::new(client.clone());
    let config = jetstream::stream::Config {
        name: "s".to_owned(),
        subjects: vec!["s".to_owned()],
        num_replicas: replicas,
        ..Default::default()
    };
    context.create_stream(config).await.expect("a stream");
    context
}

/// Stores one message; its place in the stream.
pub(crate) async fn publish(context: &jetstream::Context) -> Option<u64> {
    let published = tokio::time::timeout(Duration::from_secs(5), async {
        Some(context.publish("s", "x".into()).await.ok()?.await.ok()?.sequence)
    });
    published.await.ok().flatten()
}

/// The same, until it is acknowledged.
pub(crate) async fn published(context: &jetstream::Context) -> u64 {
    let stored = async {
        loop {
            if let Some(sequence) = publish(context).await {
                return sequence;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, stored).await.expect("in time")
}
