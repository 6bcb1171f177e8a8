//! All sessions of the far end, each at a slot of its own.

use std::collections::HashMap;

use crate::domain::serve::Token;

use super::session::Session;
use super::slot::Slot;

/// All sessions.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Vec<(u32, Option<Session>)>,
    free: Vec<u32>,
    tokens: HashMap<Token, Slot>,
}

impl Table {
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.slots.len() - self.free.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn insert(&mut self, session: Session) -> Slot {
        let token = session.token;
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let mut generation = 0;
        if let Some((kept, place)) = self.slots.get_mut(index as usize) {
            // Below the tokens that the reactor and the listener have for themselves.
            *kept = (*kept + 1) % (u32::MAX - 1);
            generation = *kept;
            *place = Some(session);
        }
        let slot = Slot { index, generation };
        self.tokens.insert(token, slot);
        slot
    }

    pub(super) fn find(&self, token: Token) -> Option<Slot> {
        self.tokens.get(&token).copied()
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Session> {
        let (generation, session) = self.slots.get(slot.index as usize)?;
        session.as_ref().filter(|_| *generation == slot.generation)
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Session> {
        let (generation, session) = self.slots.get_mut(slot.index as usize)?;
        session.as_mut().filter(|_| *generation == slot.generation)
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<Session> {
        self.get(slot)?;
        let (_, place) = self.slots.get_mut(slot.index as usize)?;
        let session = place.take()?;
        self.free.push(slot.index);
        self.tokens.remove(&session.token);
        Some(session)
    }
}
