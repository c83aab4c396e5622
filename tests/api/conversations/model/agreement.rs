//! Comparisons of everything that users see with the model.

use serde_json::json;

use super::Scenario;
use super::reference::Perspective;
use super::steps::Read;

impl Scenario<'_> {
    /// Waits until all inboxes have the versions of their conversations.
    pub async fn inboxes_follow(&self) {
        let names = &self.model.names;
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            let app = &self.services[0].app;
            app.inboxes_follow(&names[one], &names[other]).await;
        }
    }

    /// Compares everything that each user can see with the model.
    pub async fn assert_agreement(&mut self) {
        // By a service without limits, so that looking changes nothing.
        (self.app, self.kept) = (&self.services[0].app, self.services[0].kept);
        self.inboxes_follow().await;
        for user in 0..3 {
            let name = self.model.names[user].clone();
            let expected = self.model.inbox(user);
            assert_eq!(self.app.inbox(&name, "").await, expected, "{name}");
            for archived in [true, false] {
                let mut some = expected["conversations"].as_array().unwrap().clone();
                some.retain(|row| row["archived"] == archived);
                let page = self.app.inbox(&name, &format!("archived={archived}")).await;
                assert_eq!(page["conversations"], json!(some), "{name} {archived}");
            }
            for (total, value) in self.app.totals(&name).await.as_object().unwrap() {
                assert_eq!(value, &expected[total], "{name} {total}");
            }
            for peer in (0..3).filter(|peer| *peer != user) {
                self.read(Perspective { user, peer }, Read::ALL).await;
            }
        }
    }
}
