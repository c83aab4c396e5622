//! Subscriptions, for backends.

use super::Operations;
use crate::auth::Caller;
use crate::error::Error;
use crate::model::{
    AckInput, AckResult, DeadLetterSelection, DeadLettersQuery, RawDeadLetters, RawFeedPage,
    RetriedDeadLetters, SeekResult, SeekTarget, Subscription, SubscriptionInput, SubscriptionList,
    SubscriptionName, TakeQuery,
};
use crate::rate::RateLimited;
use crate::store::{SetSubscription, TakeRequest};

impl Operations {
    /// Creates a subscription, or replaces the settings of one. Returns it, and whether it was created. With
    /// `only_create` an existing one is refused.
    pub async fn set_subscription(
        &self,
        caller: &Caller,
        name: &SubscriptionName,
        input: SubscriptionInput,
        only_create: bool,
    ) -> Result<RateLimited<(Subscription, bool)>, Error> {
        caller.require_backend()?;
        let (settings, secret) = input.into_settings(&self.settings.webhook_networks)?;
        let charge = self.charge_request(caller);
        let request = SetSubscription {
            name,
            settings: &settings,
            secret: secret.as_ref(),
            only_create,
        };
        self.store.set_subscription(request, charge.as_ref()).await
    }

    /// Returns all subscriptions.
    pub async fn list_subscriptions(
        &self,
        caller: &Caller,
    ) -> Result<RateLimited<SubscriptionList>, Error> {
        caller.require_backend()?;
        let charge = self.charge_request(caller);
        self.store.list_subscriptions(charge.as_ref()).await
    }

    /// Returns a subscription.
    pub async fn read_subscription(
        &self,
        caller: &Caller,
        name: &SubscriptionName,
    ) -> Result<RateLimited<Subscription>, Error> {
        caller.require_backend()?;
        let charge = self.charge_request(caller);
        self.store.read_subscription(name, charge.as_ref()).await
    }

    /// Deletes a subscription.
    pub async fn delete_subscription(
        &self,
        caller: &Caller,
        name: &SubscriptionName,
    ) -> Result<RateLimited<()>, Error> {
        caller.require_backend()?;
        let charge = self.charge_request(caller);
        self.store.delete_subscription(name, charge.as_ref()).await
    }

    /// Gives a consumer its next events. A request that waits looks several times, and only the
    /// first is charged.
    pub async fn take_events(
        &self,
        caller: &Caller,
        subscription: &SubscriptionName,
        query: &TakeQuery,
        is_first: bool,
    ) -> Result<RateLimited<RawFeedPage>, Error> {
        caller.require_backend()?;
        let charge = self.charge_request(caller).filter(|_| is_first);
        let request = TakeRequest {
            subscription,
            consumer: &query.consumer,
            limit: query.limit(),
        };
        self.store.take_events(request, charge.as_ref()).await
    }

    /// Acknowledges events.
    pub async fn ack_events(
        &self,
        caller: &Caller,
        name: &SubscriptionName,
        input: AckInput,
    ) -> Result<RateLimited<AckResult>, Error> {
        caller.require_backend()?;
        let ((consumer, ids), charge) = (input.checked()?, self.charge_request(caller));
        self.store
            .ack_events(name, &consumer, &ids, charge.as_ref())
            .await
    }

    /// Moves a subscription to another place.
    pub async fn seek_subscription(
        &self,
        caller: &Caller,
        name: &SubscriptionName,
        to: SeekTarget,
    ) -> Result<RateLimited<SeekResult>, Error> {
        caller.require_backend()?;
        let charge = self.charge_request(caller);
        self.store
            .seek_subscription(name, to, charge.as_ref())
            .await
    }

    /// Returns a page of the events that the webhook of a subscription did not take.
    pub async fn list_dead_letters(
        &self,
        caller: &Caller,
        name: &SubscriptionName,
        query: &DeadLettersQuery,
    ) -> Result<RateLimited<RawDeadLetters>, Error> {
        caller.require_backend()?;
        let charge = self.charge_request(caller);
        self.store
            .list_dead_letters(name, query, charge.as_ref())
            .await
    }

    /// Sends events again that the webhook of a subscription did not take.
    pub async fn retry_dead_letters(
        &self,
        caller: &Caller,
        name: &SubscriptionName,
        selection: DeadLetterSelection,
    ) -> Result<RateLimited<RetriedDeadLetters>, Error> {
        caller.require_backend()?;
        let (ids, charge) = (selection.checked()?, self.charge_request(caller));
        self.store
            .retry_dead_letters(name, &ids, charge.as_ref())
            .await
    }
}
