/** The list of one's jobs, where each can be deleted. */

import "./deleting.js";
