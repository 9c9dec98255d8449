/** What `@chasqui/engine-remote` offers. Adding a name here is a decision about the public interface. */
export { type RemoteChatOptions, remoteChat } from "./remote-chat.ts"
