//! Conversations: history, inbox, receipts, blocks, erasure.

mod all_unread;
mod blocks;
mod concurrency;
mod erasure;
mod history;
mod inbox;
mod inbox_pages;
mod model;
mod mutes;
mod pages;
mod pins;
mod receipts;
mod screens;
mod settings;
