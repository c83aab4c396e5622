// Messages between two users with fastify and ioredis.
//
// A conversation is a list, newest first. A hash counts the unread messages of each user by sender. A send appends and
// counts in one round trip.

const cluster = require('node:cluster');
const { randomUUID } = require('node:crypto');
const fastify = require('fastify');
const Redis = require('ioredis');

const { PORT, REDIS_URL, WORKERS } = process.env;

const messageInput = {
  type: 'object',
  required: ['from', 'to', 'body'],
  properties: {
    from: { type: 'string', minLength: 1, maxLength: 64 },
    to: { type: 'string', minLength: 1, maxLength: 64 },
    body: { type: 'string', minLength: 1, maxLength: 4096 },
  },
};

const pageQuery = {
  type: 'object',
  properties: { limit: { type: 'integer', minimum: 1, maximum: 100, default: 50 } },
};

function messagesKey(one, other) {
  return `messages:${[one, other].sort().join(':')}`;
}

function serve() {
  const app = fastify();
  const redis = new Redis(REDIS_URL);

  app.post('/messages', { schema: { body: messageInput } }, async (request, reply) => {
    const { from, to, body } = request.body;
    const message = { id: randomUUID(), from, to, body, sent_at: new Date().toISOString() };
    const results = await redis
      .pipeline()
      .lpush(messagesKey(from, to), JSON.stringify(message))
      .hincrby(`unread:${to}`, from, 1)
      .exec();
    for (const [error] of results) {
      if (error) throw error;
    }
    return reply.code(201).send(message);
  });

  app.get('/conversations/:user/:peer', { schema: { querystring: pageQuery } }, async (request) => {
    const { user, peer } = request.params;
    const page = await redis.lrange(messagesKey(user, peer), 0, request.query.limit - 1);
    return { messages: page.map((message) => JSON.parse(message)) };
  });

  app.listen({ host: '127.0.0.1', port: Number(PORT) });
}

if (cluster.isPrimary) {
  for (let worker = 0; worker < Number(WORKERS); worker++) cluster.fork();
} else {
  serve();
}
