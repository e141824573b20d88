/** What the Worker and a group's coordinator say to each other about a member's socket. */

const CLIENT_HOST_HEADER = "edgelog-client-host";
/** An IPv6 address has 45 at most. */
const CLIENT_HOST_CHARACTERS_MAX = 64;

export interface MemberRequest {
  readonly subprotocol: string | undefined;
  readonly clientHost: string;
}

/** Nothing else of the client's request goes to the coordinator: its token stays with the Worker. */
export function memberRequest({ subprotocol, clientHost }: MemberRequest): Request {
  const headers = new Headers({
    upgrade: "websocket",
    [CLIENT_HOST_HEADER]: clientHost.slice(0, CLIENT_HOST_CHARACTERS_MAX),
  });
  if (subprotocol !== undefined) headers.set("sec-websocket-protocol", subprotocol);
  return new Request("https://group/subscribe", { headers });
}

export function parseMemberRequest({ headers }: Request): MemberRequest {
  return {
    subprotocol: headers.get("sec-websocket-protocol") ?? undefined,
    clientHost: headers.get(CLIENT_HOST_HEADER) ?? "",
  };
}
