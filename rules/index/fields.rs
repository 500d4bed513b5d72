//! The fields that rules name, as a tree: the only part of an event that is looked at.

use super::hash::{Table, hash};

/// The top of every event.
pub(super) const ROOT: u32 = 0;

/// The tree of field names. A *node* is one field; node 0 is the event itself.
#[derive(Debug)]
pub(super) struct Fields {
    nodes: Vec<Node>,
    names: String,
    /// Finds a node by its parent and name.
    table: Table,
}

/// One field.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    parent: u32,
    name: (u32, u32),
    /// Bit `n` is set when a field below has a name of `n` bytes; bit 63 stands for all longer
    /// ones. Most keys of an event are none of ours, and this tells without hashing them.
    lengths: u64,
    /// Whether the field's own values are tested.
    pub(super) is_leaf: bool,
}

impl Node {
    pub(super) fn has_children(&self) -> bool {
        self.lengths != 0
    }
}

impl Fields {
    pub(super) fn new() -> Self {
        Fields {
            nodes: vec![Node::default()],
            names: String::new(),
            table: Table::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn node(&self, node: u32) -> Option<&Node> {
        self.nodes.get(node as usize)
    }

    /// The field `name` below `parent`, if a rule names it.
    #[inline]
    pub(super) fn child(&self, parent: u32, name: &str) -> Option<u32> {
        let lengths = self.nodes.get(parent as usize)?.lengths;
        if lengths & length_bit(name) == 0 {
            return None;
        }
        self.table
            .find(hash(parent.into(), name.as_bytes()), |node| {
                self.is(node, parent, name)
            })
    }

    fn is(&self, node: u32, parent: u32, name: &str) -> bool {
        self.nodes
            .get(node as usize)
            .is_some_and(|node| node.parent == parent && self.name(node) == name)
    }

    fn name(&self, node: &Node) -> &str {
        self.names
            .get(node.name.0 as usize..node.name.1 as usize)
            .unwrap_or_default()
    }

    /// The field `name` below `parent`, new if need be.
    pub(super) fn intern(&mut self, parent: u32, name: &str) -> u32 {
        if let Some(node) = self.child(parent, name) {
            return node;
        }
        let node = self.nodes.len() as u32;
        let start = self.names.len() as u32;
        self.names.push_str(name);
        let name_range = (start, self.names.len() as u32);
        self.nodes.push(Node {
            parent,
            name: name_range,
            lengths: 0,
            is_leaf: false,
        });
        if let Some(parent) = self.nodes.get_mut(parent as usize) {
            parent.lengths |= length_bit(name);
        }
        let (nodes, names) = (&self.nodes, &self.names);
        self.table
            .insert(hash(parent.into(), name.as_bytes()), node, |node| {
                nodes.get(node as usize).map_or(0, |node| {
                    let name = names.get(node.name.0 as usize..node.name.1 as usize);
                    hash(node.parent.into(), name.unwrap_or_default().as_bytes())
                })
            });
        node
    }

    pub(super) fn mark_leaf(&mut self, node: u32) {
        if let Some(node) = self.nodes.get_mut(node as usize) {
            node.is_leaf = true;
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.nodes.len() * size_of::<Node>() + self.names.len() + self.table.bytes()
    }
}

#[inline]
fn length_bit(name: &str) -> u64 {
    1 << name.len().min(63)
}
