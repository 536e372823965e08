//! A FIFO in one piece of memory whose items keep their numbers, so that a cursor into it stays good while others leave.

/// Items numbered from 0 as they come; the oldest leave first.
#[derive(Debug)]
pub(super) struct Queue<T> {
    items: Vec<T>,
    /// How many at the front of `items` have left.
    head: usize,
    /// Number of the oldest.
    first: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Queue { items: Vec::new(), head: 0, first: 0 }
    }
}

/// Fewer items than this are not worth moving or giving back.
const SMALL: usize = 256;

/// The place of items that have left is used again when they are one in this many.
const IDLE_SHARE: usize = 4;

impl<T> Queue<T> {
    pub(super) fn push(&mut self, item: T) {
        if self.items.len() == self.items.capacity() {
            self.make_room();
        }
        self.items.push(item);
    }

    /// Number of the oldest item.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// Number that the next item will have.
    pub(super) fn end(&self) -> u64 {
        self.first + self.len() as u64
    }

    pub(super) fn len(&self) -> usize {
        self.items.len() - self.head
    }

    pub(super) fn get(&self, number: u64) -> &T {
        &self.items[self.index(number)]
    }

    pub(super) fn get_mut(&mut self, number: u64) -> &mut T {
        let index = self.index(number);
        &mut self.items[index]
    }

    /// Items `from..to`.
    pub(super) fn slice(&self, from: u64, to: u64) -> &[T] {
        &self.items[self.index(from)..self.index(to)]
    }

    /// Lets the items before `number` go.
    pub(super) fn drop_before(&mut self, number: u64) {
        self.head = self.index(number);
        self.first = number;
        if self.head >= SMALL && self.head * IDLE_SHARE >= self.items.len() {
            self.items.drain(..self.head);
            self.head = 0;
            if self.items.capacity() > 4 * self.items.len().max(SMALL) {
                self.items.shrink_to(2 * self.items.len().max(SMALL));
            }
        }
    }

    /// More memory, a fourth of what there is: doubling would leave up to half of it unused.
    fn make_room(&mut self) {
        self.items.reserve_exact((self.items.len() / 4).max(SMALL));
    }

    /// Bytes that the items take, those not yet moved away included.
    pub(super) fn bytes(&self) -> usize {
        self.items.capacity() * size_of::<T>()
    }

    fn index(&self, number: u64) -> usize {
        usize::try_from(number - self.first).expect("numbers count items in memory") + self.head
    }
}

impl<T: Default> Queue<T> {
    /// Takes the oldest item out.
    pub(super) fn pop(&mut self) -> T {
        let item = std::mem::take(self.get_mut(self.first));
        self.drop_before(self.first + 1);
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_while_the_front_leaves() {
        let mut queue = Queue::default();
        for number in 0..10_000_u64 {
            queue.push(number);
            assert_eq!(*queue.get(number), number);
            if number % 3 == 0 {
                assert_eq!(queue.pop(), number / 3);
            }
        }
        assert_eq!(queue.slice(5_000, 5_003), [5_000, 5_001, 5_002]);
        queue.drop_before(9_999);
        assert_eq!((queue.len(), queue.first(), queue.end()), (1, 9_999, 10_000));
        assert!(queue.bytes() < 10_000 * 8, "memory is given back");
    }
}
