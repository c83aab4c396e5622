// Makes one client per page, and records what it reports.
(async () => {
  const { Client } = await import("/duologue.js");
  const storage = {
    load: (user) => JSON.parse(sessionStorage.getItem(user)) ?? [],
    save: (user, items) => sessionStorage.setItem(user, JSON.stringify(items)),
  };
  Object.assign(globalThis, { events: [], roomEvents: [], sent: [], refused: [], states: [] });
  globalThis.processEvent = () => {};
  globalThis.createClient = (options) => {
    globalThis.client = new Client({
      url: location.origin,
      storage,
      onEvent: async (event) => {
        await processEvent(event);
        events.push(event);
      },
      onRoomEvent: (event) => roomEvents.push(event),
      onWatchRefused: ({ code, status }, room) => refused.push(`${room}: ${status} ${code}`),
      onStateChange: (state, error) => states.push(error?.code ? `${state} ${error.code}` : state),
      onSent: ({ seq, body }, item) => sent.push({ seq, body, key: item.client_id }),
      onRefused: ({ code, status }, { body }) => refused.push(`${body}: ${status} ${code}`),
      ...options,
    });
  };
  globalThis.count = (type) => events.filter((event) => event.type === type).length;
  globalThis.watched = () => roomEvents
    .filter(({ type }) => type === "message.created")
    .map(({ room, message }) => `${room} ${message.seq} ${message.body}`);
  globalThis.received = () => events
    .filter(({ type, peer, message }) => type === "message.created" && message.from === peer)
    .map(({ message }) => `${message.seq} ${message.body}`);
})();
