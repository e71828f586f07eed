//! Somebody who deletes and creates topics while they are used.

use super::Client;

impl Client {
    pub(super) async fn administer_on(&self) {
        loop {
            self.pause(1_500).await;
            let topic = self.any_topic();
            if !topic.volatile {
                // The same again changes nothing.
                let spec = topic.spec(self.node.planted);
                let done = self.answer(self.node.instance.create_topic(spec)).await;
                self.note(format_args!(
                    "create {}: {:?}",
                    topic.name,
                    done.map(|d| d.is_ok())
                ));
                continue;
            }
            let deleted = self
                .answer(self.node.instance.delete_topic(&topic.name))
                .await;
            self.note(format_args!(
                "delete {}: {:?}",
                topic.name,
                deleted.map(|d| d.is_ok())
            ));
            self.pause(300).await;
            let spec = topic.spec(self.node.planted);
            let created = self.answer(self.node.instance.create_topic(spec)).await;
            self.note(format_args!(
                "create {}: {:?}",
                topic.name,
                created.map(|c| c.is_ok())
            ));
        }
    }
}
