//! Reads an event once and keeps what rules ask about.

use super::fields::{Fields, ROOT};
use crate::json::scan::{Cursor, Kind};
use crate::json::{Error, Reason};
use crate::pattern::tree::Seen;

/// Stands for "none" where a number names a place in a list.
pub(super) const NONE: u32 = u32::MAX;

/// The tested fields of one event. Kept from event to event, so that nothing is allocated.
///
/// Usually each tested field is there once at most, and [`Gathered::member`] finds it. Where an
/// array holds several objects, or a key is there twice, the event is *branched* and must be walked
/// from its top object.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    values: Vec<StoredValue>,
    pub(super) members: Vec<Member>,
    objects: Vec<Object>,
    /// For each node the member read last.
    latest: Vec<u32>,
    /// Strings that had escapes, without them.
    unescaped: String,
    pub(super) branched: bool,
}

/// A tested field that is there, in one object of the event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub(super) node: u32,
    /// The object it is a member of.
    owner: u32,
    /// The next member of the same object.
    next: u32,
    first_value: u32,
    first_object: u32,
}

#[derive(Debug, Clone, Copy)]
struct Object {
    first_member: u32,
    /// The next object in the same field.
    next: u32,
}

#[derive(Debug, Clone, Copy)]
struct StoredValue {
    kind: StoredKind,
    start: u32,
    end: u32,
    /// The next value of the same field.
    next: u32,
}

#[derive(Debug, Clone, Copy)]
enum StoredKind {
    Null,
    True,
    False,
    Number,
    /// A place in the event.
    Text,
    /// A place in [`Gathered::unescaped`].
    Unescaped,
}

impl Gathered {
    /// Reads `event`.
    ///
    /// # Errors
    /// Exactly when [`crate::json::parse`] fails with a depth limit of `depth`.
    pub(super) fn read<'e>(
        &mut self,
        fields: &Fields,
        event: &'e [u8],
        depth: usize,
    ) -> Result<&'e str, Error> {
        self.clear(fields.len());
        if event.len() >= NONE as usize {
            return Err(Error {
                offset: NONE as usize,
                reason: Reason::TooLong,
            });
        }
        let mut walk = Walk {
            cursor: Cursor::new(event)?,
            fields,
            to: self,
        };
        walk.cursor.skip_space();
        match walk.cursor.kind()? {
            Kind::Object => {
                let object = walk.to.add_object();
                walk.object(ROOT, object, depth)?;
            }
            _ => walk.cursor.skip(depth)?,
        }
        walk.cursor.finish()?;
        Ok(walk.cursor.text())
    }

    fn clear(&mut self, nodes: usize) {
        for member in &self.members {
            if let Some(latest) = self.latest.get_mut(member.node as usize) {
                *latest = NONE;
            }
        }
        self.latest.resize(nodes, NONE);
        self.values.clear();
        self.members.clear();
        self.objects.clear();
        self.unescaped.clear();
        self.branched = false;
    }

    /// Whether the event is an object; others match nothing.
    pub(super) fn is_object(&self) -> bool {
        !self.objects.is_empty()
    }

    /// The only member of `node`, in an event that is not branched.
    #[inline]
    pub(super) fn member(&self, node: u32) -> Option<&Member> {
        let latest = *self.latest.get(node as usize)?;
        self.members.get(latest as usize)
    }

    /// The member of `node` in one object.
    pub(super) fn member_of(&self, object: u32, node: u32) -> Option<&Member> {
        self.members_of(object).find(|member| member.node == node)
    }

    /// The tested members of one object.
    pub(super) fn members_of(&self, object: u32) -> impl Iterator<Item = &Member> {
        let first = self
            .objects
            .get(object as usize)
            .map_or(NONE, |object| object.first_member);
        let at = |place: u32| self.members.get(place as usize);
        std::iter::successors(at(first), move |member| at(member.next))
    }

    /// The objects in a field.
    pub(super) fn objects_in(&self, member: &Member) -> impl Iterator<Item = u32> {
        let known = |place: u32| (place != NONE).then_some(place);
        std::iter::successors(known(member.first_object), move |&object| {
            known(self.objects.get(object as usize)?.next)
        })
    }

    /// The values of a field, arrays taken apart.
    #[inline]
    pub(super) fn values_of<'e>(
        &'e self,
        event: &'e str,
        member: &Member,
    ) -> impl Iterator<Item = Seen<'e>> {
        let at = |place: u32| self.values.get(place as usize);
        std::iter::successors(at(member.first_value), move |value| at(value.next))
            .map(move |value| self.seen(event, value))
    }

    #[inline]
    fn seen<'e>(&'e self, event: &'e str, value: &StoredValue) -> Seen<'e> {
        let range = value.start as usize..value.end as usize;
        match value.kind {
            StoredKind::Null => Seen::Null,
            StoredKind::True => Seen::Bool(true),
            StoredKind::False => Seen::Bool(false),
            StoredKind::Number => Seen::Number(event.get(range).unwrap_or_default()),
            StoredKind::Text => Seen::Text(event.get(range).unwrap_or_default()),
            StoredKind::Unescaped => Seen::Text(self.unescaped.get(range).unwrap_or_default()),
        }
    }

    fn add_object(&mut self) -> u32 {
        self.objects.push(Object {
            first_member: NONE,
            next: NONE,
        });
        self.objects.len() as u32 - 1
    }

    /// The member of `node` in `owner`, empty. Of a key that is there twice the last wins.
    fn add_member(&mut self, node: u32, owner: u32) -> u32 {
        let added = self.members.len() as u32;
        let Some(latest) = self.latest.get_mut(node as usize) else {
            return NONE;
        };
        let before = *latest;
        if let Some(member) = self.members.get_mut(before as usize) {
            self.branched = true;
            if member.owner == owner {
                member.first_value = NONE;
                member.first_object = NONE;
                return before;
            }
        }
        *latest = added;
        let Some(owner_object) = self.objects.get_mut(owner as usize) else {
            return NONE;
        };
        let next = std::mem::replace(&mut owner_object.first_member, added);
        self.members.push(Member {
            node,
            owner,
            next,
            first_value: NONE,
            first_object: NONE,
        });
        added
    }

    /// Puts a value before those that the member has; their order means nothing.
    fn add_value(&mut self, member: u32, kind: StoredKind, start: usize, end: usize) {
        let added = self.values.len() as u32;
        if let Some(member) = self.members.get_mut(member as usize) {
            let next = std::mem::replace(&mut member.first_value, added);
            let (start, end) = (start as u32, end as u32);
            self.values.push(StoredValue {
                kind,
                start,
                end,
                next,
            });
        }
    }
}

struct Walk<'e, 'g> {
    cursor: Cursor<'e>,
    fields: &'g Fields,
    to: &'g mut Gathered,
}

impl Walk<'_, '_> {
    fn object(&mut self, node: u32, object: u32, depth: usize) -> Result<(), Error> {
        let depth = self.cursor.descend(depth)?;
        let mut more = self.cursor.open(b'}');
        while more {
            let key = self.cursor.key()?;
            let child = if key.escaped {
                self.fields.child(node, &key.unescaped())
            } else {
                self.fields.child(node, key.text)
            };
            match child {
                None => self.cursor.skip(depth)?,
                Some(child) => {
                    let member = self.to.add_member(child, object);
                    self.value(child, member, depth)?;
                }
            }
            more = self.cursor.next_member()?;
        }
        Ok(())
    }

    fn value(&mut self, node: u32, member: u32, depth: usize) -> Result<(), Error> {
        let (is_leaf, has_children) = self
            .fields
            .node(node)
            .map_or((false, false), |node| (node.is_leaf, node.has_children()));
        let kind = match self.cursor.kind()? {
            Kind::Object if has_children => {
                let object = self.to.add_object();
                if let Some(member) = self.to.members.get_mut(member as usize) {
                    let next = std::mem::replace(&mut member.first_object, object);
                    self.to.branched |= next != NONE;
                    if let Some(object) = self.to.objects.get_mut(object as usize) {
                        object.next = next;
                    }
                }
                return self.object(node, object, depth);
            }
            Kind::Array => {
                let depth = self.cursor.descend(depth)?;
                let mut more = self.cursor.open(b']');
                while more {
                    self.value(node, member, depth)?;
                    more = self.cursor.next_element()?;
                }
                return Ok(());
            }
            _ if !is_leaf => return self.cursor.skip(depth),
            Kind::Object => return self.cursor.skip(depth),
            Kind::String => return self.string(member),
            Kind::Number => StoredKind::Number,
            Kind::True => StoredKind::True,
            Kind::False => StoredKind::False,
            Kind::Null => StoredKind::Null,
        };
        let start = self.cursor.at();
        self.cursor.skip(depth)?;
        self.to.add_value(member, kind, start, self.cursor.at());
        Ok(())
    }

    fn string(&mut self, member: u32) -> Result<(), Error> {
        let start = self.cursor.at() + 1;
        let raw = self.cursor.string()?;
        if raw.escaped {
            let start = self.to.unescaped.len();
            raw.unescape_into(&mut self.to.unescaped);
            let end = self.to.unescaped.len();
            self.to.add_value(member, StoredKind::Unescaped, start, end);
        } else {
            self.to
                .add_value(member, StoredKind::Text, start, start + raw.text.len());
        }
        Ok(())
    }
}
