//! Objects whose members keep the order in which they were written.

use std::collections::HashMap;

use super::Value;

/// The members of an object: each key once, in order of first appearance.
///
/// Look-ups walk the members; events have few.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object {
    members: Vec<(String, Value)>,
}

/// Above this many members, finding duplicates by comparing each with each would let a sender
/// spend our time by the square of its bytes.
const COMPARED_MAX: usize = 32;

impl Object {
    /// An object without members.
    pub fn new() -> Self {
        Object::default()
    }

    /// Keeps the last value of each key at the place of its first; `true` when a key came twice.
    pub(crate) fn of_members(members: Vec<(String, Value)>) -> (Self, bool) {
        if !has_duplicates(&members) {
            return (Object { members }, false);
        }
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut kept: Vec<(String, Value)> = Vec::new();
        for (key, value) in members {
            if let Some(member) = places.get(&key).and_then(|&place| kept.get_mut(place)) {
                member.1 = value;
            } else {
                places.insert(key.clone(), kept.len());
                kept.push((key, value));
            }
        }
        (Object { members: kept }, true)
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.members
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    /// The value of `key`, to change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.members
            .iter_mut()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    /// Whether there is a member `key`.
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Sets `key` to `value` and answers what it was. A new key goes to the end, a known one stays
    /// where it is.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<Value>) -> Option<Value> {
        let (key, value) = (key.into(), value.into());
        match self.get_mut(&key) {
            Some(place) => Some(std::mem::replace(place, value)),
            None => {
                self.members.push((key, value));
                None
            }
        }
    }

    /// Takes `key` out and answers its value. The others keep their order.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let place = self.members.iter().position(|(name, _)| name == key)?;
        Some(self.members.remove(place).1)
    }

    /// The members in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.members
            .iter()
            .map(|(key, value)| (key.as_str(), value))
    }

    /// The members in order, values to change.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&str, &mut Value)> {
        self.members
            .iter_mut()
            .map(|(key, value)| (key.as_str(), value))
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

fn has_duplicates(members: &[(String, Value)]) -> bool {
    if members.len() > COMPARED_MAX {
        let mut keys: Vec<&str> = members.iter().map(|(key, _)| key.as_str()).collect();
        keys.sort_unstable();
        return keys.windows(2).any(|pair| pair.first() == pair.last());
    }
    members.iter().enumerate().any(|(place, (key, _))| {
        members
            .iter()
            .take(place)
            .any(|(earlier, _)| earlier == key)
    })
}

impl IntoIterator for Object {
    type Item = (String, Value);
    type IntoIter = std::vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.members.into_iter()
    }
}

impl FromIterator<(String, Value)> for Object {
    /// Of a key that comes twice the last value is kept.
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(members: I) -> Self {
        Object::of_members(members.into_iter().collect()).0
    }
}
