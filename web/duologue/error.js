/**
 * The error of everything that can fail in the client.
 *
 * @module duologue/error
 */

/** `message` is written for humans. */
export class DuologueError extends Error {
  /**
   * @param {{detail: string, code: string, status?: number, errors?: {pointer: string, detail: string}[]}}
   *   problem  a problem document (RFC 9457)
   * @param {ErrorOptions} [options]
   */
  constructor(problem, options) {
    super(message(problem), options);
    this.name = "DuologueError";
    /**
     * A code for programs: one of the service, `DISCONNECTED`, `USER_CHANGED`, `REPLACED`, or `HTTP_ERROR`
     * if a proxy responded in place of the service.
     */
    this.code = problem.code;
    /** The HTTP status; 0 if the service did not respond. */
    this.status = problem.status ?? 0;
    /** The whole problem document. */
    this.problem = problem;
  }
}

/** Describes the first invalid field, if there is one. */
function message({ detail, errors: [field] = [] }) {
  const name = field?.pointer.split("/").pop();
  return name ? `${name}: ${field.detail}` : (field?.detail ?? detail);
}

const TEMPORARY = [408, 429, 503];

/** Whether the same call may succeed a little later. */
export const isTemporary = ({ status }) => TEMPORARY.includes(status);

/** The error of a connection that is missing or was lost. */
export const disconnected = (detail, cause) => new DuologueError({ detail, code: "DISCONNECTED" }, { cause });

/** The error of a response. Without a problem document, as from a proxy, it is made from the status. */
export function responseError(text, { status, statusText }) {
  try {
    return new DuologueError({ ...JSON.parse(text), status });
  } catch {
    return new DuologueError({ detail: statusText || `HTTP status ${status}`, code: "HTTP_ERROR", status });
  }
}
