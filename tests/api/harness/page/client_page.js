// Makes one client per page, and records what it reports.
(async () => {
  const { Client } = await import("/duologue.js");
  const storage = {
    load: (user) => JSON.parse(sessionStorage.getItem(user)) ?? [],
    save: (user, items) => sessionStorage.setItem(user, JSON.stringify(items)),
  };
  Object.assign(globalThis, { events: [], sent: [], refused: [], states: [] });
  globalThis.processEvent = () => {};
  globalThis.createClient = (options) => {
    globalThis.client = new Client({
      url: location.origin,
      storage,
      onEvent: async (event) => {
        await processEvent(event);
        events.push(event);
      },
      onStateChange: (state, error) => states.push(error?.code ? `${state} ${error.code}` : state),
      onSent: ({ seq, body }, item) => sent.push({ seq, body, key: item.client_id }),
      onRefused: ({ code, status }, { body }) => refused.push(`${body}: ${status} ${code}`),
      ...options,
    });
  };
  globalThis.count = (type) => events.filter((event) => event.type === type).length;
  globalThis.received = () => events
    .filter(({ type, peer, message }) => type === "message.created" && message.from === peer)
    .map(({ message }) => `${message.seq} ${message.body}`);
})();
