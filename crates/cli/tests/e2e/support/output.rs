//! What a running process prints, as it prints it.

use std::fmt;

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::watch,
};

use super::within;

/// One stream of a process, collected from its start.
#[derive(Clone)]
pub(crate) struct Output(watch::Receiver<Vec<u8>>);

impl Output {
    /// Collects until the stream ends.
    pub(crate) fn collect(mut stream: impl AsyncRead + Unpin + Send + 'static) -> Output {
        let (sender, receiver) = watch::channel(Vec::new());
        tokio::spawn(async move {
            let mut chunk = vec![0; 16 * 1024];
            while let Ok(length @ 1..) = stream.read(&mut chunk).await {
                sender.send_modify(|all| all.extend_from_slice(&chunk[..length]));
            }
        });
        Output(receiver)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.borrow().clone()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.borrow()).into_owned()
    }

    /// Waits until something is there, and answers it. Panics, with all that was printed, when the stream ends first.
    pub(crate) async fn find<T>(&self, what: &str, pick: impl Fn(&str) -> Option<T>) -> T {
        let mut stream = self.0.clone();
        let search = async {
            loop {
                let text = String::from_utf8_lossy(&stream.borrow_and_update()).into_owned();
                if let Some(found) = pick(&text) {
                    return found;
                }
                if stream.changed().await.is_err() {
                    panic!("ended without {what}:\n{text}");
                }
            }
        };
        match tokio::time::timeout(super::PATIENCE, search).await {
            Ok(found) => found,
            Err(_) => panic!("waited in vain for {what}:\n{}", self.text()),
        }
    }

    /// Waits for a complete line that contains this, and answers it.
    pub(crate) async fn line(&self, part: &str) -> String {
        let pick = |text: &str| {
            let complete = &text[..text.rfind('\n')?];
            complete.lines().find(|line| line.contains(part)).map(str::to_owned)
        };
        self.find(&format!("a line with `{part}`"), pick).await
    }

    /// Waits until this was printed so many times.
    pub(crate) async fn times(&self, part: &str, count: usize) {
        let pick = |text: &str| (text.matches(part).count() >= count).then_some(());
        self.find(&format!("{count} times `{part}`"), pick).await;
    }

    /// Waits until the stream has ended, and answers all of it.
    pub(crate) async fn to_end(&self) -> String {
        let mut stream = self.0.clone();
        within("the end of an output", async { while stream.changed().await.is_ok() {} }).await;
        self.text()
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}
