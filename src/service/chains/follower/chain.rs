//! A chain, as a follower needs it, and what is asked of its nodes whatever chain it is. Knows no log.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use alloy::primitives::U256;
use keywatch_ingest::chain::evm::rhythm::{Pair, Rhythm};
use keywatch_ingest::chain::follow::{BlockRef, ReadRef, Used};
use keywatch_ingest::chain::health::Asked;
use keywatch_ingest::chain::holdings::{Difference, Held, Listed, Move};
use keywatch_store::event::Origin;
use keywatch_store::{Event, Instant};

use crate::service::chains::endpoints::{Agreed, Endpoints};
use crate::service::chains::node::{Node, Trouble};

/// A chain, as a follower needs it: what to ask of a node, and what an answer means.
pub(crate) trait Chain: Send + Sync + 'static {
    /// A block with everything that is read of it.
    type Block: Send + Sync;

    /// As events name it.
    fn name(&self) -> &str;

    /// Who the events are written under.
    fn origin(&self) -> &Origin;

    /// Whether a node is one of this chain.
    fn check(&self, node: &Node) -> impl Future<Output = Result<(), Trouble>> + Send;

    /// Checks a node before it is asked for the first time. Each is checked, also one that another stands in for: what one
    /// node of another chain says is never taken for this one's.
    fn sure(&self, node: &Node) -> impl Future<Output = Result<(), Trouble>> + Send {
        async move {
            if !node.is_checked() {
                self.check(node).await?;
                node.set_checked();
            }
            Ok(())
        }
    }

    /// Height of the newest block of a node.
    fn head(&self, node: &Node) -> impl Future<Output = Result<u64, Trouble>> + Send;

    /// Hash of a block; `None` where the node does not have the height.
    fn hash_at(&self, node: &Node, height: u64) -> impl Future<Output = Result<Option<String>, Trouble>> + Send;

    /// A block as its node names it; `None` where the node does not have the height.
    fn header(&self, node: &Node, height: u64) -> impl Future<Output = Result<Option<Header>, Trouble>> + Send;

    /// Height of the newest block that a node says is final; `None` where it does not say so.
    fn finalized(&self, _node: &Node) -> impl Future<Output = Result<Option<u64>, Trouble>> + Send {
        async { Ok(None) }
    }

    /// A block with everything that is read of it; `None` where the node does not have the height.
    fn fetch(
        &self,
        node: &Node,
        height: u64,
    ) -> impl Future<Output = Result<Option<Fetched<Self::Block>>, Trouble>> + Send;

    /// What is compared between nodes: the block, and what is told of it.
    fn mark(&self, fetched: &Fetched<Self::Block>) -> String;

    /// The events of a block.
    fn events(&self, fetched: &Fetched<Self::Block>, epoch: u64) -> Vec<Event>;

    /// The events of a block without what was told lately. Blocks are taken in their order, each once.
    fn news(&self, fetched: &Fetched<Self::Block>, epoch: u64) -> Vec<Event> {
        self.events(fetched, epoch)
    }

    /// Blocks above that height are left, and what they told of is to be told again.
    fn rewind(&self, _fork: u64) {}

    /// Whether more addresses are watched by now than when a block was fetched, so that it has to be fetched again.
    fn is_outgrown(&self, _fetched: &Fetched<Self::Block>) -> bool {
        false
    }

    /// How many addresses of wallets with a descriptor are used, as far as blocks were fetched.
    fn used(&self) -> Used {
        Used::new()
    }

    /// Takes so many for used; says whether that are more than before.
    fn take_used(&self, _used: &Used) -> bool {
        false
    }

    /// Which parts of a block were read, and which it was taken without.
    fn asked(&self, _fetched: &Fetched<Self::Block>) -> Asked {
        Asked::default()
    }

    /// Whether a part of blocks is asked for, as things are configured and declared now.
    fn asks(&self, _part: &str) -> bool {
        false
    }

    /// Which balances are read next, and of how many; none where the chain does not read them at a rhythm.
    fn next_balances(&self, _rhythm: &Rhythm) -> (Vec<Pair>, usize) {
        (Vec::new(), 0)
    }

    /// Those balances at the block of that hash; `None` for each that cannot be told.
    fn balances(
        &self,
        _node: &Node,
        _hash: &str,
        _pairs: &[Pair],
    ) -> impl Future<Output = Result<Vec<Option<U256>>, Trouble>> + Send {
        async { Ok(Vec::new()) }
    }

    /// Takes what events of blocks explain of balances.
    fn explain(&self, _rhythm: &mut Rhythm, _events: &[Event]) {}

    /// Takes balances that were read at a block; gives events of what nothing explains, and of what is held.
    fn weigh(&self, _rhythm: &mut Rhythm, _at: &ReadRef, _read: &[(Pair, Option<U256>)], _time: Instant) -> Vec<Event> {
        Vec::new()
    }

    /// Names of the wallets whose coins are counted; none where blocks do not say all that moves.
    fn wallets(&self) -> BTreeSet<String> {
        BTreeSet::new()
    }

    /// What a block changes of what they hold.
    fn moves(&self, _fetched: &Fetched<Self::Block>) -> Vec<Move> {
        Vec::new()
    }

    /// The event of what a wallet holds behind a block, of which so many base units cannot be spent yet.
    fn held(&self, _at: &ReadRef, _wallet: &str, _held: &Held, _immature: i64, _time: Instant) -> Option<Event> {
        None
    }

    /// The event that a node lists something else than the blocks up to one explain.
    fn differs(&self, _at: &ReadRef, _difference: &Difference, _time: Instant) -> Option<Event> {
        None
    }

    /// All coins of the wallets, as a node lists them; `None` where it does not know the question. That may take minutes.
    fn scan(&self, _node: &Node) -> impl Future<Output = Result<Option<Listed>, Trouble>> + Send {
        async { Ok(None) }
    }

    /// Whether a node tells a part of the block of that hash by now.
    fn tells(&self, _node: &Node, _hash: &str, _part: &str) -> impl Future<Output = Result<bool, Trouble>> + Send {
        async { Ok(false) }
    }
}

/// A block as a node names it, without what stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Its hash.
    pub(crate) hash: String,
    /// When it was made, as it says itself.
    pub(crate) time: Instant,
}

/// A block with its place in the chain.
pub(crate) struct Fetched<B> {
    /// Its place.
    pub(crate) at: BlockRef,
    /// What was read.
    pub(crate) block: B,
}

/// Height of the newest block of a node that is known to be of the chain.
pub(super) async fn head_of<C: Chain>(chain: &C, node: &Node) -> Result<u64, Trouble> {
    chain.sure(node).await?;
    chain.head(node).await
}

/// A block that enough nodes say the same of.
pub(super) async fn fetch<C: Chain>(
    chain: &C,
    endpoints: &Endpoints,
    height: u64,
) -> Result<Agreed<Option<Fetched<C::Block>>>, Trouble> {
    let mark = |fetched: &Option<Fetched<C::Block>>| {
        fetched.as_ref().map_or_else(|| "no such block yet".to_owned(), |fetched| chain.mark(fetched))
    };
    let ask = |node: Arc<Node>| async move {
        chain.sure(&node).await?;
        chain.fetch(&node, height).await
    };
    endpoints.agreed(ask, mark).await
}
